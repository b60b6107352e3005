"""The DAG's operators: thin Airflow classes over the rules of `cloudseg_ops`."""
