"""The DAG's sensor: a thin Airflow class over the rules of `cloudseg_ops`."""
