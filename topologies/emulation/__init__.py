"""How a drawing becomes a running network: sandbox, links, hosts, launcher."""
