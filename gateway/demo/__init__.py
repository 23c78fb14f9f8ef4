"""One whole evening with invented creditors and sandbox agencies: the real processes, real SFTP, a simulated clock."""
