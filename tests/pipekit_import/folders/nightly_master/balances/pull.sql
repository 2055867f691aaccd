SELECT acct_id, bal_day, amount
FROM core.daily_balances
WHERE bal_day >= ${MAX_DAY}
