using Microsoft.Extensions.Logging;

namespace Qkd.Web;

internal static partial class Log
{
    [LoggerMessage(4000, LogLevel.Error, "A request of {Caller} for {Path} failed.")]
    public static partial void RequestFailed(ILogger logger, Exception exception, string caller, string path);

    [LoggerMessage(4001, LogLevel.Information, "A request of {Caller} for {Path} was refused ({Status}): {Reason}")]
    public static partial void RequestRefused(ILogger logger, string caller, string path, int status, string reason);
}
