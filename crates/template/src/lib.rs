//! Jinja templates: native types, lazy variables, Ansible's filters and tests.
