"""What the one-shot services and the health checks of docker-compose.yaml run."""
