select * from returns
