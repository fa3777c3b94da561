-- The warehouse, beside Airflow's own database in the same server.
CREATE ROLE trips LOGIN PASSWORD 'trips';
CREATE DATABASE trips OWNER trips;
