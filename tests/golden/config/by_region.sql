SELECT id
FROM orders
WHERE region = '${REGION}';
