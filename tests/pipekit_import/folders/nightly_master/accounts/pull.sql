SELECT acct_id, holder, opened_on, branch FROM core.accounts
