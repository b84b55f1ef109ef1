"""Repayment notices that are timely, personal, lawful and measured."""
