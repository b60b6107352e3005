"""Links on tasks in the Airflow UI, and the addresses that they lead to."""
