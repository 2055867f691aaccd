-- Orders changed since the last run, from the order system's library
SELECT ORORD# AS order_no,
       ORCUST AS customer_no,
       TRIM(ORSTAT) AS status,
       ORAMT AS amount,
       ORCHTS AS changed_at
FROM   SALESLIB.ORDHDR
WHERE  ORCHTS >= '@SINCE@'
