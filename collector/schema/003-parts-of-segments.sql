-- Words of version 3: a batch may be a part of a segment, and the ledger knows damage. Nothing is rewritten.
ALTER TABLE events
    COMMENT COLUMN batch_id 'the segment it came in, a UUIDv7: UUIDv7ToDateTime(toUUID(substring(batch_id, 1, 36))); .<from>-<to> behind it: a part of the segment';
ALTER TABLE losses
    COMMENT COLUMN origin 'sdk: dropped before it was sent; collector: rejected, or damaged on its disk; store: quarantined';
ALTER TABLE quarantine
    COMMENT COLUMN events 'how many; 0 for the report of a damaged segment';
