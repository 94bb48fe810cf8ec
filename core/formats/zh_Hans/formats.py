DATETIME_FORMAT = "Y-m-d H:i:s"
SHORT_DATETIME_FORMAT = "Y-m-d H:i"
DATE_FORMAT = SHORT_DATE_FORMAT = "Y-m-d"
TIME_FORMAT = "H:i:s"
# Also by thousands, as the figures of the overview.
THOUSAND_SEPARATOR = ","
NUMBER_GROUPING = 3
