"""Commands for whoever runs the cluster: they speak to a server as its administrator, with the kubeconfig."""
