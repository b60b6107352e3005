"""The DAG's sensor: a thin Airflow class around the rules of `cloudseg_ops`."""
