"""What earlier runs left, taken over; and the accounts held against the journal while a run goes on."""
