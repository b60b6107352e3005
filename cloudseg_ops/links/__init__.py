"""Links on tasks in the Airflow UI, and the addresses behind them."""
