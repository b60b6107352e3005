"""The DAG's operators: thin Airflow classes around the rules of `cloudseg_ops`."""
