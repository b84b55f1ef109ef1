"""What people see: the console, the API, health and metrics."""
