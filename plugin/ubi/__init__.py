"""User Behavior Insights: `ext.ubi` of a search, and the record of what its client was shown."""
