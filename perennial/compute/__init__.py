"""Where the heavy parts are computed: in this process, or by workers on many machines."""
