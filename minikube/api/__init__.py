"""The typed objects of the API (generated, <group>_<version>.py) and pure functions over them."""
