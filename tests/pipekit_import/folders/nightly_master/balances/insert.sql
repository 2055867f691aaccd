delete from balances where bal_day >= (select min(bal_day) from stage_balances);
insert into balances (account_id, bal_day, amount_eur)
select acct_id, bal_day, amount from stage_balances;
