"""Binance spot and USDⓈ-M."""
