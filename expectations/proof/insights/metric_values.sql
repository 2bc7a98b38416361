select * from metric_periods
