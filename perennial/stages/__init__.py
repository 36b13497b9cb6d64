"""One module per DVC stage: read artefacts, call the rooms, write artefacts."""
