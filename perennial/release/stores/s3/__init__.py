"""The store on S3 and what speaks like it; boto3 is imported in one module of it."""
