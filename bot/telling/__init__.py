"""What a run tells beside its screen: notifications, a heartbeat, metrics, JSON logs, systemd's watchdog.

Everything goes outward, from threads of its own, through queues with an end: nothing here can delay trading.
"""
