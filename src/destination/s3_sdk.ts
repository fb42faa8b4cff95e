// What is imported late of the SDK, by name: of a package that is imported whole, a bundle would hold all that it has.

export { S3Client } from "@aws-sdk/client-s3";
