"""The science of Timbrescope: recordings, networks, explanations. It knows no HTTP and no queue."""
