"""What the Dockerfile, compose files and the chart say of a container, run here under its restrictions."""
