UPDATE accounts a SET holder = s.holder, opened_on = s.opened_on, branch = s.branch
FROM stage_accounts s WHERE a.acct_id = s.acct_id;

INSERT INTO accounts (acct_id, holder, opened_on, branch)
SELECT s.acct_id, s.holder, s.opened_on, s.branch FROM stage_accounts s
WHERE NOT EXISTS (SELECT 1 FROM accounts a WHERE a.acct_id = s.acct_id);
