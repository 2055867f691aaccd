select c.CustomerID, c.[Name], c.Region, isnull(c.CreditLimit, 0) as CreditLimit
from dbo.Customers c with (nolock)
where c.Deleted = 0;
