-- Money is divided in whole ten-thousandths and truncated, as the marts state; a ratio without denominator is null.
create macro money_per(total, number) as
case when number > 0 then
    cast(cast(total * 10000 as hugeint) // number as decimal(22, 0)) * cast(0.0001 as decimal(4, 4))
end;

create macro ratio(part, whole) as
case when whole > 0 then cast(part as double) / cast(whole as double) end;
