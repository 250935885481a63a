"""Write requests and responses, single and bulk."""
