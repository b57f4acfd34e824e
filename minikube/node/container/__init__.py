"""What containers are given: their spec, environment, files, users, name servers, credentials of their images."""
