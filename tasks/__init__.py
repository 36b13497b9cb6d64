"""How often, and with the world: the only code that retries, times out, or talks to services.

Importing it prepares the environment, because every library below reads its switches when it is
itself imported; so a flow imports `tasks` before `prefect`.
"""

from tasks import state, telemetry

telemetry.switch_off()
state.keep_at_home()
