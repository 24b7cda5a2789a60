using System.Net;

namespace Qkd.Web.Etsi014;

/// <summary>A key management entity refused a request.</summary>
public sealed class Etsi014Exception : Exception
{
    /// <summary>Creates the exception.</summary>
    /// <param name="status">The HTTP status of the answer.</param>
    /// <param name="message">What the entity said, with what was asked.</param>
    /// <param name="inner">The cause.</param>
    public Etsi014Exception(HttpStatusCode status, string message, Exception? inner = null)
        : base(message, inner) => Status = status;

    /// <summary>The HTTP status of the answer.</summary>
    public HttpStatusCode Status { get; }
}
