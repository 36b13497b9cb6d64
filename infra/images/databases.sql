-- Prefect's database is made by the image; this is MLflow's.
CREATE DATABASE mlflow;
