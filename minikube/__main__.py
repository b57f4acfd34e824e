"""`minikube`, and `python -m minikube`. Nothing is collected while modules load: it took a quarter of the time."""

import gc

gc.disable()

from minikube.cli import main  # noqa: E402

if __name__ == "__main__":
    main()
