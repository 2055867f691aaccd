"""What each page shows, as records: functions that read the store and give nothing but values to a template."""
