"""`drill prove`: every known defect is caught by a named bound, and the good client by none.

`defects` says what a defect is and finds them; `matrix` runs a cell each; `table` writes them down.
"""
