-- Queries over what `security_lake` writes. In Athena the tables are those that the lake makes of the sources
-- AARM-6003, AARM-2004 and AARM-3003; here they are named aarm_6003, aarm_2004 and aarm_3003. `time` is milliseconds.
-- Each query begins with a line `-- name:`. Standard SQL: Athena and DuckDB run them alike.

-- name: all_ai_events_last_24h
SELECT time, class_name, severity, message, metadata.uid AS event_id
FROM (
    SELECT time, class_name, severity, message, metadata FROM aarm_6003
    UNION ALL
    SELECT time, class_name, severity, message, metadata FROM aarm_2004
) AS events
WHERE time >= to_unixtime(current_timestamp) * 1000 - 86400000
ORDER BY time DESC;

-- name: security_findings_by_severity
SELECT severity_id, severity, count(*) AS findings
FROM aarm_2004
GROUP BY severity_id, severity
ORDER BY severity_id DESC;

-- name: tool_usage_summary
-- What `model_usage_summary` is for models: a proxy of tools does not see models, tokens or costs.
SELECT api.service.name AS server, api.operation AS operation, count(*) AS calls,
       count_if(status_id = 1) AS succeeded, avg(duration) AS mean_ms
FROM aarm_6003
WHERE metadata.event_code = 'aarm.action'
GROUP BY api.service.name, api.operation
ORDER BY calls DESC;

-- name: prompt_injection_attempts
-- Findings whose rule carries a tag of the OWASP or MITRE ATLAS classes for injected instructions.
SELECT time, severity, finding_info.title AS title, metadata.correlation_uid AS correlation_uid
FROM aarm_2004
WHERE unmapped LIKE '%AML.T0051%' OR unmapped LIKE '%ASI01%' OR unmapped LIKE '%LLM01%'
ORDER BY time DESC;

-- name: agent_session_activity
SELECT actor.session.uid AS session_uid, actor.invoked_by AS agent, count(*) AS actions,
       min(time) AS first_time, max(time) AS last_time
FROM aarm_6003
WHERE actor.session.uid IS NOT NULL
GROUP BY actor.session.uid, actor.invoked_by
ORDER BY actions DESC;

-- name: cross_correlation_ai_network
-- Where actions went to, beside the flows of the network (the lake's own VPC flow source) to the same host at the same time.
SELECT a.time, a.api.operation AS operation, a.metadata.correlation_uid AS correlation_uid,
       a.dst_endpoint.hostname AS hostname, n.dst_endpoint.ip AS ip, n.traffic.bytes AS bytes
FROM aarm_6003 AS a
JOIN vpc_flow AS n
  ON n.metadata.correlation_uid = a.metadata.correlation_uid
 AND n.time BETWEEN a.start_time AND a.end_time + 1000
ORDER BY a.time DESC;
