"""python -m minikube"""

from minikube.cli import main

main()
