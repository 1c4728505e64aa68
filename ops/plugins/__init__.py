"""Lists plugins and tries them by the laws."""
