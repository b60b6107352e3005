"""Code for the one-shot services and health checks of docker-compose.yaml."""
