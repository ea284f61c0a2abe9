export { LOCALHOST_CERT as CERT, LOCALHOST_KEY as KEY } from "@usage/test-servers";
