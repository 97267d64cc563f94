"""Settings that have had other names. Workdirs keep working; config files are told the new name."""

RENAMED = {"AttentionConfig.kernel": "AttentionConfig.implementation"}
