"""How a deployment is: its roles, what waits in Kafka, dead letters and circuits."""
